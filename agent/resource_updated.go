package agent

import "context"

// TopicResourceUpdated is the topic of [ResourceUpdated]. Its payload is a [ResourceUpdate]; the
// source is the agent that has the resource.
const TopicResourceUpdated = "openmas.resource-updated"

// ResourceUpdate says which resource has changed.
type ResourceUpdate struct {
	URI string `json:"uri"`
}

// ResourceUpdated tells the MCP clients that subscribed to a resource of the agent that runs in ctx
// that it has changed; they will read it again. It is best effort, like every event, works from
// tools, Runners and children alike, and does nothing where nobody subscribed. uri is that of the
// resource, or one that its template covers.
func ResourceUpdated(ctx context.Context, uri string) error {
	return Publish(ctx, TopicResourceUpdated, ResourceUpdate{URI: uri}, EventKey(uri))
}
