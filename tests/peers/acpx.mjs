/*
 * acpx.mjs - a command-line client of the Agent Client Protocol drives `agent acp`: with every permission given it
 * ends with 0 and the command has run outside; with every permission denied it ends with 5 and has not.
 */
import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { AGENT, check, rig } from "./rig.mjs";

const modules = join(process.env.AGENT_TEST_PEERS, "node_modules");
const outside = (r) => join(r.top, "outside.txt");

async function ask(flag, status) {
	const call = { name: "exec_command", call_id: "c1", arguments: {
		cmd: 'echo made > "$HOME/outside.txt"', login: false, sandbox_permissions: "require_escalated",
		justification: "May I write next to the folder?" } };
	const r = await rig({
		exchanges: [{ calls: [call] }, { message: "that is all" }],
		config: 'sandbox_mode = "workspace-write"\napproval_policy = "on-request"\n' +
			"[sandbox_workspace_write]\nexclude_slash_tmp = true\nexclude_tmpdir_env_var = true\n",
	});
	const done = spawnSync(process.execPath, [join(modules, "acpx/dist/cli.js"), "--agent", `${AGENT} acp`,
		flag, "--format", "json", "--json-strict", "--timeout", "60", "exec", "write it"],
		{ cwd: r.work, env: r.environment, encoding: "utf8", timeout: 90000 });

	check(done.status === status, `acpx ${flag} ends with ${status}, not ${done.status}\n${done.stdout}\n${done.stderr}`);
	check(existsSync(outside(r)) === (status === 0), `${flag}: the file outside ${status === 0 ? "exists" : "does not exist"}`);
	check(done.stdout.includes("session/request_permission"), `${flag}: permission was asked for`);
	rmSync(outside(r), { force: true });
	r.close();
}

await ask("--approve-all", 0);
await ask("--deny-all", 5);
