-- A function test of a button that dials the police centre ends with the window there: what ingest could not open in time is not opened later.

alter table device_test add column not_after timestamptz;
