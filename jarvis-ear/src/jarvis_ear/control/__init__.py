"""Control of a running ear: control socket, feed and their clients."""
