package admin

import "time"

// AccountSpec is what an operator decides about a person.
type AccountSpec struct {
	Login         string `json:"login"` // unique, compared without regard to case
	Name          string `json:"name,omitempty"`
	Email         string `json:"email,omitempty"`
	EmailVerified bool   `json:"email_verified,omitempty"`
	Disabled      bool   `json:"disabled,omitempty"`
}

// NewAccount is a person to create. It holds a password: never log or format one.
type NewAccount struct {
	AccountSpec
	Password string `json:"password,omitempty"` // none: the account cannot sign in with a password
}

// AccountUpdate changes what is not nil. An address that changes is unverified
// unless EmailVerified says otherwise.
type AccountUpdate struct {
	Name          *string `json:"name,omitempty"`
	Email         *string `json:"email,omitempty"`
	EmailVerified *bool   `json:"email_verified,omitempty"`
}

// Account is a person as the authority knows them.
type Account struct {
	ID string `json:"id"` // the `sub` of tokens
	AccountSpec
	HasPassword bool      `json:"has_password"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// Session is one sign-in in one browser.
type Session struct {
	ID        string    `json:"id"`
	AccountID string    `json:"account_id"`
	AuthTime  time.Time `json:"auth_time"`
	AMR       []string  `json:"amr,omitempty"`
	Network   string    `json:"network,omitempty"` // prefix of the address it was last used from
	UserAgent string    `json:"user_agent,omitempty"`

	FirstNetwork   string `json:"first_network,omitempty"` // where the sign-in came from
	FirstUserAgent string `json:"first_user_agent,omitempty"`

	CreatedAt time.Time `json:"created_at"`
	LastSeen  time.Time `json:"last_seen"`
	ExpiresAt time.Time `json:"expires_at"` // at the latest
	Live      bool      `json:"live"`
	EndReason string    `json:"end_reason,omitempty"`
}

// PasswordRequest carries a new password. Never log or format one.
type PasswordRequest struct {
	Password string `json:"password"`
}
