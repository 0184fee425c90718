"""SendGrid's event webhook. Called by host.py."""

from sendgrid.helpers.eventwebhook import EventWebhook

NAME = "x-twilio-email-event-webhook"


def verify(request, secret):
    signature, timestamp = request.headers[f"{NAME}-signature"], request.headers[f"{NAME}-timestamp"]
    return EventWebhook(secret).verify_signature(request.body.decode(), signature, timestamp)
