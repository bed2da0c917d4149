-- Grafana's roles: a second wall. The views of schema `dash` cut what they show by the role's scope; row-level security on the tables cuts
-- once more for whoever is not their owner, so that a view that forgets it shows nothing of another county. `anxin dashboards grant` gives
-- the views to a role that owns nothing else, for which these policies hold (hub/store/sql/readers.sql). The hub owns the tables: nothing
-- changes for it. Hypertables have none (TimescaleDB refuses it): no role may read them, views join them to `device`.

alter table institution enable row level security;
create policy scope on institution for select using (key in (select dash.institutions()));
alter table division enable row level security;
create policy scope on division for select using (code in (select dash.divisions()));
alter table register_entry enable row level security;
create policy scope on register_entry for select using (filing_number in (select dash.entries()));
alter table zone enable row level security;
create policy scope on zone for select using (institution in (select dash.institutions()));
alter table position enable row level security;
create policy scope on position for select using (institution in (select dash.institutions()));
alter table device enable row level security;
create policy scope on device for select using (institution in (select dash.institutions()));
alter table endpoint enable row level security;
create policy scope on endpoint for select using (institution in (select dash.institutions()));
alter table alarm enable row level security;
create policy scope on alarm for select using (institution in (select dash.institutions()));
alter table drill_press enable row level security;
create policy scope on drill_press for select using (institution in (select dash.institutions()));
alter table drill_mark enable row level security;
create policy scope on drill_mark for select using (institution in (select dash.institutions()));
alter table proof enable row level security;
create policy scope on proof for select using (institution in (select dash.institutions()));
alter table escalation enable row level security;
create policy scope on escalation for select using (institution in (select dash.institutions()));
alter table notification enable row level security;
create policy scope on notification for select using (institution in (select dash.institutions()));
alter table work_order enable row level security;
create policy scope on work_order for select using (institution in (select dash.institutions()));
alter table waiver enable row level security;
create policy scope on waiver for select using (institution in (select dash.institutions()));

-- where a scope is an organisation of Grafana: which one (`anxin dashboards grant --grafana`)
alter table dash_reader add column organisation text;
