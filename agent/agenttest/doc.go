// Package agenttest is for unit tests of agents: it runs them in memory, scripts the agents that
// they call, and shows what was called.
//
//	func TestForecast(t *testing.T) {
//		sys := agenttest.Run(t, agenttest.Agents{
//			"weather": &Weather{Unit: "C"},
//			"geo":     agenttest.Script{"locate": Position{Lat: 46.9, Lon: 7.4}},
//		})
//		got, err := agent.Ask[Forecast](sys.Ctx(), "weather.forecast", City{Name: "Bern"})
//		...
//		asked := agenttest.Inputs[City](sys, "geo.locate")
//	}
//
// # The parts
//
//   - [Run] starts the agents and ends them with the test; [Start] is for a start that fails.
//   - [Script] is an agent that answers as the test says: with a value, an error, a function
//     ([Func]), one answer after the other ([Each]), late ([Delay]), never ([Hang]), or by dying
//     in the middle of the call ([Crash]).
//   - [Expect] fails the test where a scripted tool gets other calls than those, and shows which.
//   - [OnElicit], [OnElicitURL] and [OnSample] answer what agents ask the user and the model.
//   - [System.Ctx] is the context in which the test calls, publishes and sets deadlines.
//   - [System.Calls], [Inputs], [System.Published] and [System.Output] show what happened.
//   - [System.Golden] compares all of it with a file. Package wire runs a test over each
//     communicator.
//   - [System.Settle] waits until every event has been handled, [System.Wait] until a Runner is
//     done. [ByHand] leaves the Runners to the test, which calls [System.RunAgent].
//
// # What a test can rely on
//
// Agents start, are called, get their events and end by the code that the runtime uses for it, so
// that what a test shows is so in a running system: the order of start, a call's deadline
// ([CallTimeout]) and depth, the order and the attempts of events. Two things are a test's own:
// there is no broker, and an event that could not be handled is tried again after a millisecond.
//
// Nothing needs a network, a file outside the test's folder, or the real clock: a [System] works
// inside testing/synctest, where an hour of waiting takes no time.
package agenttest
