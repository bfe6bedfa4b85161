"""From what a failed step said to the failure behind it: a module for each tool that speaks. No words here."""
