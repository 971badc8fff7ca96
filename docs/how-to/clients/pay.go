// pay.go
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
)

type Approval struct {
	ApprovalID string         `json:"approval_id"`
	Tool       string         `json:"tool"`
	Args       map[string]any `json:"args"`
}

type Status struct {
	State            string     `json:"state"`
	PendingApprovals []Approval `json:"pending_approvals"`
}

type Result struct {
	Status     string  `json:"status"`
	StopReason string  `json:"stop_reason"`
	Answer     *string `json:"answer"`
}

func main() {
	ctx := context.Background()
	temporal, err := client.Dial(client.Options{HostPort: os.Getenv("TEMPORAL_ADDRESS")})
	if err != nil {
		log.Fatalln("no connection to Temporal:", err)
	}
	defer temporal.Close()

	run, err := temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                    "invoice-R11",
		TaskQueue:             "agents",
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
	}, "AgentRun", map[string]any{
		"goal":         "pay invoice R11",
		"agent":        "teller",
		"requested_by": "carol@example.com",
	})
	if err != nil {
		log.Fatalln("the run was not started:", err)
	}

	var status Status
	for len(status.PendingApprovals) == 0 {
		time.Sleep(500 * time.Millisecond)
		answer, err := temporal.QueryWorkflow(ctx, run.GetID(), "", "status")
		if err != nil {
			log.Fatalln("no status:", err)
		}
		if err := answer.Get(&status); err != nil {
			log.Fatalln("an unexpected status:", err)
		}
	}

	update, err := temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID:   run.GetID(),
		UpdateName:   "approve",
		WaitForStage: client.WorkflowUpdateStageCompleted,
		Args: []any{map[string]any{
			"approval_id": status.PendingApprovals[0].ApprovalID,
			"by":          "bob@example.com",
		}},
	})
	if err != nil {
		log.Fatalln("the approval was not sent:", err)
	}
	if err := update.Get(ctx, nil); err != nil {
		log.Fatalln("the approval was refused:", err)
	}

	var result Result
	if err := run.Get(ctx, &result); err != nil {
		log.Fatalln("the run failed:", err)
	}
	fmt.Println(result.Status, *result.Answer)
}
