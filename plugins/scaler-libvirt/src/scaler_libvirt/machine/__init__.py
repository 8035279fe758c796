"""What a machine is made of: identity, XML, seed. Pure: no libvirt, no trio."""
