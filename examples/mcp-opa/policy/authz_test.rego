package mcp.authz_test

import data.mcp.authz

now := time.now_ns()

rfc3339(shift_hours) := time.format([now + ((((shift_hours * 3600) * 1000) * 1000) * 1000), "UTC", "RFC3339"])

release := {
	"agent": "spiffe://company.com/agent/deploy-bot",
	"user": "dana@company.com",
	"tool": "deploy_to_production",
	"context": {
		"user_department": "platform",
		"user_role": "release-manager",
		"user_clearance": 2,
		"agent_purpose": "release",
		"data_classification": "internal",
		"environment": "production",
		"risk_score": 20,
		"approval_chain": [{"approver": "rita@company.com", "timestamp": rfc3339(-1)}],
		"window": {"from": rfc3339(-1), "to": rfc3339(1)},
	},
	"token": {"expires_at": rfc3339(1)},
}

reasons(path, value) := found if {
	changed := json.patch(release, [{"op": "replace", "path": path, "value": value}])
	found := authz.decision.reasons with input as changed
}

test_release_in_its_window_is_allowed if {
	decision := authz.decision with input as release
	decision == {"allow": true, "reasons": [], "obligations": ["notify:#releases"]}
}

test_each_thing_alone_denies if {
	reasons("/context/user_department", "sales") == ["department_not_allowed"]
	reasons("/context/user_role", "intern") == ["role_not_allowed"]
	reasons("/context/user_clearance", 0) == ["clearance_too_low"]
	reasons("/context/agent_purpose", "sales-report") == ["purpose_mismatch"]
	reasons("/context/risk_score", 41) == ["risk_too_high"]
	reasons("/context/approval_chain", []) == ["approval_missing"]
	reasons("/context/approval_chain", [{"approver": "dana@company.com", "timestamp": rfc3339(-1)}]) == ["approval_missing"]
	reasons("/context/approval_chain", [{"approver": "rita@company.com", "timestamp": rfc3339(-9)}]) == ["approval_missing"]
	reasons("/context/window/to", rfc3339(-1)) == ["outside_window"]
	reasons("/context/window/from", rfc3339(1)) == ["outside_window"]
	reasons("/token/expires_at", rfc3339(-1)) == ["token_expired"]
}

test_production_needs_a_window if {
	found := authz.decision.reasons with input as json.remove(release, ["context/window"])
	found == ["outside_window"]
}

test_nothing_known_is_denied if {
	decision := authz.decision with input as {}
	decision.allow == false
	count(decision.reasons) == 9
}

test_unknown_tool_is_denied if "unknown_tool" in reasons("/tool", "drop_database")
