"""Work on more machines than one: a Ray cluster, which is asked for with CXR_CLUSTER and imported only then."""
