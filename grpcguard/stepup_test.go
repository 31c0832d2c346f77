package jetongrpc_test

import (
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/jetonhq/jeton"
	jetongrpc "github.com/jetonhq/jeton/grpcguard"
	"github.com/jetonhq/jeton/jetontest"
	"github.com/jetonhq/jeton/oauth"
)

// A caller whose sign-in is not good enough reads in the trailer what would be.
func TestSTE_1_Trailer(t *testing.T) {
	authority := jetontest.New(t)
	demands := []jeton.Demand{jeton.AuthAge(5 * time.Minute), jeton.ACR("urn:jeton:pwd")}
	conn := serveWith(t, authority, nil, map[string][]jeton.Demand{"/test.Who/Delete": demands, "/test.Who/Chat": demands})
	fresh := with(t.Context(), "Bearer "+authority.Token(t, jetontest.Scope("read")))
	if _, got := unary(fresh, conn, "Delete"); got != "OK[]" {
		t.Error(got)
	}
	for name, test := range map[string]struct {
		option jetontest.Option
		want   string
	}{
		"too old":  {jetontest.SignedIn(6*time.Minute, "urn:jeton:pwd"), "Unauthenticated[sign_in_too_old]"},
		"too weak": {jetontest.SignedIn(0, "urn:example:none"), "Unauthenticated[step_up_needed]"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := with(t.Context(), "Bearer "+authority.Token(t, jetontest.Scope("read"), test.option))
			var trailer metadata.MD
			err := conn.Invoke(ctx, "/test.Who/Delete", wrapperspb.String(""), &wrapperspb.StringValue{}, grpc.Trailer(&trailer))
			if got := result(err, trailer); got != test.want {
				t.Error(got)
			}
			wants, ok := oauth.StepUpOf(trailer.Get(jetongrpc.TrailerChallenge))
			if !ok || wants.MaxAge == nil || *wants.MaxAge != 5*time.Minute || len(wants.ACRValues) != 1 {
				t.Errorf("the trailer asks for %+v, %v", wants, ok)
			}
			if _, got := open(t, ctx, conn, "Chat")(); got != test.want {
				t.Errorf("a stream: %s", got)
			}
		})
	}
}
