/*
 * sdk.mjs - the SDK for the peer's command line drives `agent exec` as if it were the peer: two turns on one
 * thread, every kind of item, usage, a failing turn.
 */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { AGENT, check, rig } from "./rig.mjs";

const require = createRequire(join(process.env.AGENT_TEST_PEERS, "node_modules", "/"));
const { Codex } = await import(
	pathToFileURL(join(process.env.AGENT_TEST_PEERS, "node_modules/@openai/codex-sdk/dist/index.js"))
);
void require;

const patch = "*** Begin Patch\n*** Add File: made.txt\n+by the patch\n*** End Patch\n";
const usage = { input_tokens: 100, input_tokens_details: { cached_tokens: 40 }, output_tokens: 20,
	output_tokens_details: { reasoning_tokens: 5 }, total_tokens: 120 };
const call = (id, args) => ({ name: "exec_command", call_id: id, arguments: args });
const r = await rig({
	exchanges: [
		{ calls: [call("c1", { cmd: "echo hello from the sandbox > note.txt; cat note.txt" })], usage },
		{ calls: [{ name: "apply_patch", call_id: "c2", input: patch }], usage },
		{ calls: [call("c3", { cmd: "exit 3" })], usage },
		{ message: "first answer", usage },
		{ message: "second answer", usage },
		{ status: 400, body: '{"error":{"message":"no such model"}}' },
	],
});
const codex = new Codex({ codexPathOverride: AGENT, env: r.environment });
const thread = codex.startThread({
	workingDirectory: r.work,
	sandboxMode: "workspace-write",
	approvalPolicy: "never",
	skipGitRepoCheck: true,
	networkAccessEnabled: false,
	webSearchMode: "disabled",
});

const one = await thread.run("do the work");
const kinds = one.items.map((item) => item.type);
const commands = one.items.filter((item) => item.type === "command_execution");
const files = one.items.filter((item) => item.type === "file_change");

check(typeof thread.id === "string" && thread.id.length > 0, "the thread has an id");
check(one.finalResponse === "first answer", `the final answer arrives, not '${one.finalResponse}'`);
check(commands.length === 2, `two commands arrive, not ${JSON.stringify(kinds)}`);
check(commands[0]?.exit_code === 0 && commands[0]?.aggregated_output.includes("hello from the sandbox"),
	`the first command ran: ${JSON.stringify(commands[0])}`);
check(commands[1]?.exit_code === 3 && commands[1]?.status === "failed", "a failing command is told as failed");
check(files.length === 1 && files[0].status === "completed" && files[0].changes[0].kind === "add",
	`the patch arrives: ${JSON.stringify(files)}`);
check(existsSync(join(r.work, "made.txt")) && readFileSync(join(r.work, "made.txt"), "utf8") === "by the patch\n",
	"the patch has made the file");
check(one.usage?.input_tokens === 400 && one.usage?.output_tokens === 80 && one.usage?.cached_input_tokens === 160,
	`usage adds up: ${JSON.stringify(one.usage)}`);

const two = await thread.run("and again");
const sent = r.requests();

check(two.finalResponse === "second answer", `the second turn answers, not '${two.finalResponse}'`);
check(two.usage?.input_tokens === 500, `usage of a resumed thread is cumulative: ${JSON.stringify(two.usage)}`);
check(JSON.stringify(sent.at(-1)).includes("do the work"), "the second turn sends the history of the first");

let failure = "";
try {
	await thread.run("fail");
} catch (error) {
	failure = String(error.message);
}
check(failure.includes("no such model"), `a refused request fails the turn with its text, not '${failure}'`);

r.close();
