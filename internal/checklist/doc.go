// Package checklist has one test for each line of what the MCP developer's guide asks of servers,
// clients and harnesses, named after the line. They run against real processes of the openmas
// command. What only other implementations can show is tested in internal/interop; the tests here
// say where.
package checklist
