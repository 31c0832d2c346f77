// Package seal owns the keys that seal secrets at rest.
//
// A secret column of the store (private and shared keys, webhook secrets) is
// sealed with AES-256-GCM under a data key. Data keys rest in the same store,
// wrapped by a master key that is somewhere else: in a file or the environment
// ([FileMaster]), or in HashiCorp Vault or OpenBao ([Transit]). [Open] unwraps
// them once; from then on the process holds them in memory and depends on the
// master key no more.
//
// Whoever owns a secret column takes the *secret.Sealer of [Service.Sealer],
// and lists the column where its store walks sealed values
// (authority.SealStore). Nothing else is needed for both kinds of rotation:
//
//   - the master key: [Service.Rewrap] wraps the data keys again, which touches
//     no sealed value;
//   - the data key: [Service.Rotate] makes a new one, and [Service.Run] seals
//     everything again under it, in slices, and goes on where it was killed.
package seal
