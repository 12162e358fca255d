"""The config classes, by what they are about; :mod:`acestep.config` has them all."""
