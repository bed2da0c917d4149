-- When the newest picture was taken: a recorder that still holds its days may have stopped recording.
alter table recording_day add column newest_at timestamptz;
alter table recording_state add column newest_at timestamptz;
