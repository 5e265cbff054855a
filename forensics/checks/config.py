"""Configuration: migrations, settings, dimension, segment types, tenants."""
