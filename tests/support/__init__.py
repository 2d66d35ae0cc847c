"""What the tests of both distributions make: pictures, bundles, services, projects."""
