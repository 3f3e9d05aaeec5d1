"""Keys that several engines share: kept in Secrets of the cluster, made by the engine itself."""
