"""The tests of the workbench; they mirror the rooms of `cxr`."""
