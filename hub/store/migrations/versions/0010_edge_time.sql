-- When the edge had a sample, by its own clock, where the device gave a time of its own that differs; null: `at` is the edge's.

alter table reading add column edge_at timestamptz;
alter table event add column edge_at timestamptz;
