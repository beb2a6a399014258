"""Where status webhooks go and the secret that signs them."""

from __future__ import annotations

from typing import ClassVar

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr

from cordboard.settings import Settings
from cordboard.vendors.webhook import Endpoint


class WebhookEndpoint(Block):
    """Receiver of status webhooks, signed in the Standard Webhooks way.

    Example:
        ```python
        from blocks.webhook import WebhookEndpoint

        endpoint = WebhookEndpoint.load("BLOCK_NAME").get_endpoint()
        ```
    """

    _block_type_name: ClassVar[str] = "Cordboard Webhook Endpoint"
    _block_type_slug: ClassVar[str] = "cordboard-webhook"
    _description: ClassVar[str] = (
        "Receiver of status webhooks (started, completed, failed), signed so that it can trust them."
    )
    _documentation_url: ClassVar[str] = "https://www.standardwebhooks.com"  # type: ignore[assignment]

    model_config = ConfigDict(hide_input_in_errors=True)

    url: SecretStr = Field(
        title="URL",
        description="Where messages are POSTed; https, or http on this machine only. Hidden, as it may hold a token.",
        examples=["https://hooks.example.com/cordboard"],
    )
    secret: SecretStr = Field(
        title="Signing secret",
        description="Standard Webhooks secret, whsec_ followed by base64; the receiver holds the same.",
    )

    def get_endpoint(self) -> Endpoint:
        """The endpoint with its secret unwrapped; hand it to a relay and keep no copy."""
        name = self._block_document_name or "inline"
        url, secret = self.url.get_secret_value(), self.secret.get_secret_value()
        return Endpoint(ref=f"block:{name}", url=url, secret=secret)


def endpoint_from_env(settings: Settings, block: WebhookEndpoint | None) -> Endpoint | None:
    """The block's endpoint, else the one of `CORDBOARD_WEBHOOK_URL`, else none."""
    if block is not None:
        return block.get_endpoint()
    if not settings.webhook_url:
        return None
    return Endpoint(ref="env", url=settings.webhook_url, secret=settings.webhook_secret)
