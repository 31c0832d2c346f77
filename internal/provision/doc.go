// Package provision brings clients, resources and accounts to a declared state.
//
// People write a [File] in YAML; its secrets stand in files or the environment,
// and [File.Resolve] reads them there. The admin API's apply call and the start
// of the server then run the same [Service.Apply] over the document: it compares
// what is declared with what there is, says what differs, and changes only that.
package provision
