"""The reference: one operation per file, backward directly under forward, over every number system."""
