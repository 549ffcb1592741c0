"""The ear at an MQTT broker: its state, commands, and discovery by Home Assistant."""
