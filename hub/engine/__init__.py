"""The private PostgreSQL with TimescaleDB, and the private Mosquitto."""
