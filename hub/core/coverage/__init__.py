"""Coverage: rules, facts, and the verdict of one rule for one institution. Pure; never green on silence."""
