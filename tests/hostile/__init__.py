"""Input that cannot hurt: every way to misuse what Launchyard is given, with the explanation that it comes to."""
