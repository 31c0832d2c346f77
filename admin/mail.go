package admin

import (
	"context"
	"net/http"
)

// MailTest is where a test mail goes.
type MailTest struct {
	To string `json:"to"`
}

// MailTested is what the mail server said.
type MailTested struct {
	Answer string `json:"answer"`
}

// TestMail sends a test mail now. [CodeMail]: the mail server did not take it,
// and the message says why. [CodeInvalid]: there is no mail server.
func (c *Client) TestMail(ctx context.Context, to string) (MailTested, error) {
	var tested MailTested
	err := c.do(ctx, request{method: http.MethodPost, path: []string{"mail", "test"}, body: MailTest{to}, into: &tested})
	return tested, err
}
