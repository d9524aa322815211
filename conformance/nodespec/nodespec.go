// Package nodespec is what the lab tells cmd/nodeinit, the first process of a node, in
// a JSON file.
package nodespec

// Spec says what a node is made of. Paths are absolute.
type Spec struct {
	// Tmpfs are directories to hide below an empty one.
	Tmpfs []string `json:"tmpfs"`
	// Binds are directories to hide below others: {"/etc/kubernetes": "/tmp/x"}.
	Binds map[string]string `json:"binds"`
	// Sysctls are files below /proc/sys that the programs may write without
	// changing the machine's.
	Sysctls []string `json:"sysctls"`
	// Dir takes the stand-ins of the sysctls.
	Dir string `json:"dir"`
	// Programs are started in this order.
	Programs []Program `json:"programs"`
}

// Program is one of its programs.
type Program struct {
	// Args are the program and its arguments, Env what is added to the environment,
	// Log the file that takes what it says.
	Args []string `json:"args"`
	Env  []string `json:"env"`
	Log  string   `json:"log"`
	// Ready is a file that is there once the program may be used.
	Ready string `json:"ready"`
	// Once has nodeinit wait for the program's end before it goes on.
	Once bool `json:"once"`
	// Restart is a file: where it is there when the program ends, nodeinit takes it
	// away and starts the program again, as systemd does with a kubelet.
	Restart string `json:"restart"`
}
