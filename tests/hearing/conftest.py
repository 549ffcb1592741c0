from hypothesis import settings

# The first example of a test pays for the imports, and a machine may be busy.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
