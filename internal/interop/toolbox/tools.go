package toolbox

// Tools lists everything, in the order in which it is best installed.
func Tools() []*Tool {
	return []*Tool{PythonOld, PythonNew, FastMCP, RealPython, RealSQLite, Peers, Newest, RealNode, Node}
}
