module github.com/jetonhq/jeton/jwk/wycheproof

go 1.26.4

replace github.com/jetonhq/jeton => ../../

require (
	github.com/c2sp/wycheproof v0.0.0-20260902155932-3fa63dd0344a
	github.com/jetonhq/jeton v0.0.0-00010101000000-000000000000
)
