-- A function test that has begun is asked for at once: its device is read by its edge, not at its next poll.

alter table device_test add column asked_at timestamptz;
update device_test set asked_at = now();
create trigger device_test_opened after update of state on device_test
    for each row when (old.state <> 'open' and new.state = 'open') execute function announce_proof();
