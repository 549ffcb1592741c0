"""What the owner can ask of a running ear: control socket, feed and mute."""
