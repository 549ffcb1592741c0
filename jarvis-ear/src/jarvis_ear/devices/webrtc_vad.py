"""SpeechGate by webrtcvad."""

import webrtcvad

from jarvis_ear.units import SAMPLE_RATE


class WebRtcVad:
    """WebRTC's voice activity detector: 2 microseconds a frame. Lives in the ear thread."""

    def __init__(self, aggressiveness: int) -> None:
        self._vad = webrtcvad.Vad(aggressiveness)

    def is_speech(self, pcm: bytes) -> bool:
        """Whether one frame (640 bytes of PCM16) may be speech."""
        return bool(self._vad.is_speech(pcm, SAMPLE_RATE))
