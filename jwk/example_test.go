package jwk_test

import (
	"encoding/json"
	"fmt"

	"github.com/jetonhq/jeton/jwk"
)

func ExampleKey() {
	key, err := jwk.Generate(jwk.ES256)
	if err != nil {
		fmt.Println(err)
		return
	}
	sig, err := key.Sign([]byte("message"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(key.Public().Verify([]byte("message"), sig))
	fmt.Println(key.Public().Verify([]byte("another"), sig))
	// Output:
	// <nil>
	// jwk: signature does not verify
}

func ExampleParse() {
	key, err := jwk.Parse([]byte(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(key.Algorithm(), key.Thumbprint())
	// Output: Ed25519 kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k
}

func ExampleSet() {
	key, err := jwk.Parse([]byte(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"2026-1"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	set, err := jwk.NewSet(key)
	if err != nil {
		fmt.Println(err)
		return
	}
	published, err := json.Marshal(set)
	fmt.Println(string(published), err)
	// Output: {"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"2026-1","use":"sig","alg":"Ed25519"}]} <nil>
}

func ExampleNewRemoteSet() {
	keys, err := jwk.NewRemoteSet(jwk.RemoteConfig{URL: "https://id.example.com/jwks"})
	if err != nil {
		fmt.Println(err)
		return
	}
	// Nothing has been fetched: the authority need not be up.
	fmt.Println(keys.Fetches(), keys.Held())
	// Output: 0 <nil>
}
