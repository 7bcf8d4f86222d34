"""Pure: merge changes into the wire form, show the difference, guard against erasing."""
