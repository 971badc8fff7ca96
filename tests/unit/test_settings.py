"""Settings read from the environment."""

import base64

from backstay.settings import Settings

SECRET = base64.b64encode(b"s" * 32).decode()


def test_settings_do_not_show_the_keys() -> None:
    assert SECRET not in repr(Settings(codec_keys=f"new:{SECRET}"))
