"""Reports for people: terminal tables and pages."""
