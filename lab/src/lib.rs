//! Real SSH hosts on one Linux machine, out of namespaces.
