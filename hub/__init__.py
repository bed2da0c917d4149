"""Anxin Hub (安心): device management, telemetry, alarms and coverage for childcare institutions."""
