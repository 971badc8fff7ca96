// pay.ts
import { Client, Connection } from '@temporalio/client';

interface Approval {
  approval_id: string;
  tool: string;
  args: Record<string, unknown>;
}

interface Status {
  state: string;
  pending_approvals: Approval[];
}

interface Result {
  status: 'completed' | 'stopped' | 'failed';
  stop_reason: string;
  answer: string | null;
}

async function main(): Promise<void> {
  const connection = await Connection.connect({ address: process.env.TEMPORAL_ADDRESS ?? 'localhost:7233' });
  const client = new Client({ connection, namespace: process.env.TEMPORAL_NAMESPACE ?? 'default' });
  const run = await client.workflow.start('AgentRun', {
    taskQueue: 'agents',
    workflowId: 'invoice-R10',
    workflowIdReusePolicy: 'REJECT_DUPLICATE',
    args: [{ goal: 'pay invoice R10', agent: 'teller', requested_by: 'carol@example.com' }],
  });

  let waiting: Approval[] = [];
  while (waiting.length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    waiting = (await run.query<Status>('status')).pending_approvals;
  }
  await run.executeUpdate('approve', { args: [{ approval_id: waiting[0].approval_id, by: 'bob@example.com' }] });

  const result = (await run.result()) as Result;
  console.log(result.status, result.answer);
  await connection.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
