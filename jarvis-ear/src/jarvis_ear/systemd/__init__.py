"""Messages to the service manager: readiness, status and watchdog."""
