"""What the in-cluster engine offers beyond the appliance's API: models, endpoints and calls.

All of it lies below ``/api/backup_engine``, so that the seed's endpoints stay exact (architecture
§3). An appliance answers 404/1 here, FrameworkErrors.UNKNOWN_PATH; ``EngineCalls.find_engine``
tells the two apart.
"""
