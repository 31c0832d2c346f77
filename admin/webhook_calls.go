package admin

import (
	"context"
	"net/http"
)

// PutWebhook creates a webhook, or brings it to what w says. It shows the secret
// of a new one if the authority chose it.
func (c *Client) PutWebhook(ctx context.Context, w NewWebhook, reason string) (IssuedWebhook, error) {
	var issued IssuedWebhook
	err := c.do(ctx, request{method: http.MethodPut, path: []string{"webhooks", w.Name}, body: w, reason: reason, into: &issued})
	return issued, err
}

// Webhooks lists webhooks by name, in one page.
func (c *Client) Webhooks(ctx context.Context) (List[Webhook], error) {
	var list List[Webhook]
	err := c.do(ctx, request{method: http.MethodGet, path: []string{"webhooks"}, into: &list})
	return list, err
}

// Webhook finds a webhook by name.
func (c *Client) Webhook(ctx context.Context, name string) (Webhook, error) {
	var hook Webhook
	err := c.do(ctx, request{method: http.MethodGet, path: []string{"webhooks", name}, into: &hook})
	return hook, err
}

// RotateWebhookSecret gives a webhook a new secret; the old one signs beside it
// for a while.
func (c *Client) RotateWebhookSecret(ctx context.Context, name string, r WebhookRotation, reason string) (IssuedWebhook, error) {
	var issued IssuedWebhook
	err := c.do(ctx, request{method: http.MethodPost, path: []string{"webhooks", name, "rotate-secret"}, body: r, reason: reason, into: &issued})
	return issued, err
}

// TestWebhook sends a webhook a message of type "test" now, and says what became
// of it.
func (c *Client) TestWebhook(ctx context.Context, name string) (WebhookTest, error) {
	var test WebhookTest
	err := c.do(ctx, request{method: http.MethodPost, path: []string{"webhooks", name, "test"}, into: &test})
	return test, err
}

// DeleteWebhook removes a webhook. What it has not got by then, it will not get.
func (c *Client) DeleteWebhook(ctx context.Context, name, reason string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: []string{"webhooks", name}, reason: reason})
}

// Deliveries lists the log of deliveries, newest first, without bodies.
func (c *Client) Deliveries(ctx context.Context, f DeliveryFilter, p Page) (List[Delivery], error) {
	var list List[Delivery]
	query := p.query(map[string]string{"channel": f.Channel, "target": f.Target, "state": f.State})
	err := c.do(ctx, request{method: http.MethodGet, path: []string{"deliveries"}, query: query, into: &list})
	return list, err
}

// Delivery finds one delivery.
func (c *Client) Delivery(ctx context.Context, id string) (Delivery, error) {
	var d Delivery
	err := c.do(ctx, request{method: http.MethodGet, path: []string{"deliveries", id}, into: &d})
	return d, err
}

// RetryDelivery has a delivery that failed, or waits, tried now. [CodeConflict]:
// it was delivered.
func (c *Client) RetryDelivery(ctx context.Context, id, reason string) error {
	return c.do(ctx, request{method: http.MethodPost, path: []string{"deliveries", id, "retry"}, reason: reason})
}
