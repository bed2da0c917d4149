"""The process at the institution: it runs drivers, keeps what they read in a spool on disk, and sends it upwards until the hub confirmed it."""
