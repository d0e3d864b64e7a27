# METADATA
# title: May this agent, for this person, call this tool now?
# description: |
#   The input carries the members of a Keelson decision (agent, user, tool, parameters, purpose, context, token), so the
#   decision log needs no mapping. A call is allowed when nothing speaks against it; every reason against it is named.
package mcp.authz

decision := {
	"allow": count(reasons) == 0,
	"reasons": sort(reasons),
	"obligations": obligations,
}

tool := data.company.tools[input.tool]

default obligations := []

obligations := tool.obligations if count(reasons) == 0

reasons contains "unknown_tool" if not tool

reasons contains "department_not_allowed" if not department_allowed

reasons contains "role_not_allowed" if not role_allowed

reasons contains "clearance_too_low" if not clearance_suffices

reasons contains "purpose_mismatch" if not purpose_fits

reasons contains "risk_too_high" if not risk_accepted

reasons contains "approval_missing" if not approved

reasons contains "outside_window" if not in_window

reasons contains "token_expired" if not token_alive

# Each condition is a rule of its own: under `not`, a member the input lacks then denies. (`not x in tool.roles` would not:
# an undefined x makes the whole line undefined.)
department_allowed if input.context.user_department in tool.departments

role_allowed if input.context.user_role in tool.roles

purpose_fits if input.context.agent_purpose in tool.purposes

approved if count(approvers) >= tool.approvals

clearance_suffices if {
	needed := data.company.clearance[input.context.data_classification]
	needed >= data.company.clearance[tool.classification]
	input.context.user_clearance >= needed
}

risk_accepted if input.context.risk_score <= data.company.max_risk[input.context.environment]

# Distinct people other than the one who asks, whose approval is recent.
approvers contains approval.approver if {
	some approval in input.context.approval_chain
	approval.approver != input.user
	age_ns := time.now_ns() - time.parse_rfc3339_ns(approval.timestamp)
	age_ns >= 0
	age_ns <= (data.company.approval_max_age_hours * 3600) * 1000000000
}

in_window if input.context.environment != "production"

in_window if {
	time.now_ns() >= time.parse_rfc3339_ns(input.context.window.from)
	time.now_ns() <= time.parse_rfc3339_ns(input.context.window.to)
}

token_alive if time.now_ns() < time.parse_rfc3339_ns(input.token.expires_at)
