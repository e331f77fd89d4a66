"""What the API server refuses in a TuningStudy, beyond the types: CEL rules, from one hyperparameter to the whole.

Their limits (the estimated cost of a rule, over the longest lists that the schema allows) decide what is here. What is
missing is checked when the operator accepts a study: cycles of `when` through more than three hyperparameters, and two
hyperparameters that share a parameter under conditions on different ones.
"""

from typing import Final

from tuning_operator.api.rules import Reason, Rule, formatted, unchanged, when_present

MAX_EXACT: Final = "9007199254740992"
"""2^53: beyond it a double, which the API keeps bounds in, skips integers."""

LARGEST_BOUND: Final = "1e300"
"""So that the width of a range is a finite number too."""

# What a text must look like to stand as a number or a Boolean in JSON. Sixteen digits reach 2^53; an exponent of two
# digits keeps the longest text that the schema allows finite.
INTEGER_TEXT: Final = "^(0|-?[1-9][0-9]{0,15})$"
FLOAT_TEXT: Final = r"^-?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][-+]?[0-9]{1,2})?$"

DUPLICATE_NUMBER = "self.values.filter(v, self.values.filter(w, double(w) == double(v)).size() > 1)"


def _is_integer(text: str) -> str:
    return f'({text}.matches("{INTEGER_TEXT}") && int({text}) >= -{MAX_EXACT} && int({text}) <= {MAX_EXACT})'


def _is_float(text: str) -> str:
    return f'{text}.matches("{FLOAT_TEXT}")'


def _is_boolean(text: str) -> str:
    return f'{text} in ["true", "false"]'


def _hyperparameter(
    rule: str,
    problem: str,
    field: str | None = None,
    reason: Reason = Reason.INVALID,
    culprit: tuple[str, str] | None = None,
) -> Rule:
    """A rule about one hyperparameter, whose message begins with its name.

    The culprit ends it: a text with %s, and the CEL of what stands there.
    """
    if culprit is None:
        return Rule(rule, problem, formatted(f"%s: {problem}", "self.name"), field, reason)
    blame, text = culprit
    return Rule(rule, problem, formatted(f"%s: {problem}; {blame}", "self.name", text), field, reason)


def _texts_are(value_type: str, check: str, what: str) -> list[Rule]:
    """The rules that `value` and each of `values` can be read as their type."""
    other_type = f'!(self.type == "{value_type}" || (has(self.valueType) && self.valueType == "{value_type}"))'
    value, values = check.replace("TEXT", "self.value"), check.replace("TEXT", "v")
    return [
        _hyperparameter(
            f"{other_type} || !has(self.value) || {value}",
            f"value must be {what}",
            ".value",
            culprit=("not %s", "self.value"),
        ),
        _hyperparameter(
            f"{other_type} || !has(self.values) || self.values.all(v, {values})",
            f"each of values must be {what}",
            ".values",
            culprit=("not %s", f"self.values.filter(v, !({values}))[0]"),
        ),
    ]


IS_FIXED = 'self.role == "Fixed"'
LISTS = '["Categorical", "Ordinal"]'
IS_LIST = f"self.type in {LISTS}"

RANGE_RULES = (
    _hyperparameter(
        "has(self.low) == has(self.high)", "low and high belong together: set both or neither", None, Reason.REQUIRED
    ),
    _hyperparameter(
        "!has(self.low) || !has(self.high) || self.low < self.high",
        "low must be smaller than high; for a single value use role Fixed with value",
        ".high",
    ),
    # A schema's minimum and maximum cannot say it: the API server reads them as int64 where the value is whole.
    _hyperparameter(
        f"!has(self.low) || !has(self.high) || (self.low >= -{LARGEST_BOUND} && self.high <= {LARGEST_BOUND})",
        f"low and high must lie between -{LARGEST_BOUND} and {LARGEST_BOUND}",
    ),
    _hyperparameter(
        '!has(self.scale) || self.scale != "Log" || !has(self.low) || self.low > 0.0',
        "scale Log needs low > 0: raise low, or use scale Linear",
        ".low",
    ),
    _hyperparameter(
        '!has(self.scale) || self.scale != "ReverseLog" || !has(self.high) || self.high < 1.0',
        "scale ReverseLog needs high < 1, since it is the logarithm of 1 - x: lower high, or use scale Linear",
        ".high",
    ),
    _hyperparameter(
        '!has(self.scale) || self.scale != "ReverseLog" || self.type == "Float"',
        "scale ReverseLog is for type Float",
        ".scale",
    ),
    *(
        _hyperparameter(
            f'self.type != "Integer" || !has(self.{bound}) || '
            f"(self.{bound} >= -{MAX_EXACT}.0 && self.{bound} <= {MAX_EXACT}.0"
            f" && double(int(self.{bound})) == self.{bound})",
            f"{bound} of an Integer must be a whole number between -2^53 and 2^53; for fractions use type Float",
            f".{bound}",
        )
        for bound in ("low", "high")
    ),
)

DOMAIN_RULES = (
    _hyperparameter(
        f"!({IS_FIXED}) || has(self.value)",
        "role Fixed needs value: the value that it has in every trial, as a string",
        ".value",
        Reason.REQUIRED,
    ),
    _hyperparameter(
        f"!({IS_FIXED}) || !(has(self.low) || has(self.high) || has(self.values) || has(self.scale))",
        "role Fixed goes with value alone: remove low, high, scale and values, or use role Nuisance or Scientific",
        ".role",
        Reason.FORBIDDEN,
    ),
    _hyperparameter(
        f"{IS_FIXED} || !has(self.value)",
        "value belongs to role Fixed: use that role, or give low and high (Float, Integer) or values (Categorical, "
        "Ordinal)",
        ".value",
        Reason.FORBIDDEN,
    ),
    _hyperparameter(
        f"{IS_FIXED} || !({IS_LIST}) || has(self.values)",
        "types Categorical and Ordinal need values; or use role Fixed with value",
        ".values",
        Reason.REQUIRED,
    ),
    _hyperparameter(
        f'!({IS_LIST}) || self.role != "Scientific" || !has(self.values) || self.values.size() >= 2',
        "role Scientific needs at least two values to compare; a single one has role Fixed",
        ".values",
    ),
    _hyperparameter(
        f"!({IS_LIST}) || !(has(self.low) || has(self.high) || has(self.scale))",
        "types Categorical and Ordinal have values, no range: remove low, high and scale, or use type Float or Integer",
        ".type",
        Reason.FORBIDDEN,
    ),
    _hyperparameter(
        f"{IS_FIXED} || {IS_LIST} || has(self.low) || has(self.high) || has(self.values)",
        "types Float and Integer need low and high; or use role Fixed with value",
        None,
        Reason.REQUIRED,
    ),
    _hyperparameter(
        f"{IS_LIST} || !has(self.values)",
        "values belong to types Categorical and Ordinal; for a list of numbers use Ordinal with valueType",
        ".values",
        Reason.FORBIDDEN,
    ),
)

TEXT_RULES = (
    _hyperparameter(
        f"!has(self.valueType) || {IS_LIST} || self.valueType == self.type",
        "valueType is for types Categorical and Ordinal; Float and Integer imply theirs: remove it",
        ".valueType",
        Reason.FORBIDDEN,
    ),
    *_texts_are("Integer", _is_integer("TEXT"), "a whole number between -2^53 and 2^53, such as 16"),
    *_texts_are("Float", _is_float("TEXT"), "a finite number, such as 0.5 or 1e-4"),
    *_texts_are("Boolean", _is_boolean("TEXT"), "true or false"),
    # The list is a set, but of texts: 1.0 and 1e0 are one value, whose two arms would be one experiment.
    _hyperparameter(
        f'!has(self.values) || !has(self.valueType) || self.valueType != "Float" || {DUPLICATE_NUMBER}.size() == 0',
        "each number may stand once in values, however it is written",
        ".values",
        culprit=("%s is there twice", f"{DUPLICATE_NUMBER}[0]"),
    ),
)

HYPERPARAMETER_RULES: Final = (
    *RANGE_RULES,
    *DOMAIN_RULES,
    *TEXT_RULES,
    _hyperparameter(
        "!has(self.when) || self.when.name != self.name",
        "when must name another hyperparameter",
        ".when",
    ),
)


def _no_hyperparameter(is_wrong: str, problem: str) -> Rule:
    """A rule about the whole list: no `h` in it is wrong; the message begins with the first one that is."""
    return Rule(
        f"!self.exists(h, {is_wrong})",
        problem,
        formatted(f"%s: {problem}", f"self.filter(h, {is_wrong})[0].name"),
    )


def _is_parent_of(child: str, parent: str) -> str:
    return f"{parent}.name == {child}.when.name"


def _parameter(hyperparameter: str) -> str:
    return f"(has({hyperparameter}.parameter) ? {hyperparameter}.parameter : {hyperparameter}.name)"


SPACE_RULES: Final = (
    _no_hyperparameter(
        f"has(h.when) && !self.exists(o, {_is_parent_of('h', 'o')} && o.type in {LISTS})",
        "when.name must be a hyperparameter of this study of type Categorical or Ordinal",
    ),
    _no_hyperparameter(
        f"has(h.when) && self.exists(o, {_is_parent_of('h', 'o')} && "
        "!(has(o.values) ? sets.contains(o.values, h.when.values) : "
        "!has(o.value) || h.when.values.all(v, v == o.value)))",
        "when.values must be values that the hyperparameter in when.name can have",
    ),
    _no_hyperparameter(
        f"has(h.when) && self.exists(p, {_is_parent_of('h', 'p')} && has(p.when) && p.name != h.name && "
        f"({_is_parent_of('p', 'h')} || "
        f"self.exists(g, {_is_parent_of('p', 'g')} && has(g.when) && {_is_parent_of('g', 'h')})))",
        "its when leads back to itself: remove one of the conditions",
    ),
    # Where both have conditions on different hyperparameters, they may still exclude each other: one condition may
    # lie under the other. The operator decides that.
    _no_hyperparameter(
        f"self.exists(o, o.name != h.name && {_parameter('o')} == {_parameter('h')} && "
        "(!has(h.when) || !has(o.when) || "
        "(h.when.name == o.when.name && sets.intersects(h.when.values, o.when.values))))",
        "another hyperparameter has the same parameter: give both a when on one hyperparameter, with different values, "
        "or change parameter",
    ),
)

HAS_SCIENTIFIC_RANGE = 'self.hyperparameters.exists(h, h.role == "Scientific" && has(h.low))'
DESIGN = when_present("search.design", '""')


NO_RULE = '""'

CONSTRAINT_RULES: Final = (
    Rule(
        "has(self.max) || has(self.min)",
        "a constraint needs max, min or both: what the metric must not be above or below",
        reason=Reason.REQUIRED,
    ),
    Rule(
        "!has(self.max) || !has(self.min) || self.min <= self.max",
        "min must not be larger than max, or no trial can keep to the constraint",
        field_path=".min",
    ),
)

OBJECTIVE_RULES: Final = (
    Rule(
        "!has(self.constraints) || self.constraints.all(c, c.metric != self.metric)",
        "a constraint is about another metric than the objective: remove it, or make that metric the objective",
        field_path=".constraints",
    ),
)

SPEC_RULES: Final = (
    Rule(
        "!has(self.secondObjective) || self.secondObjective.metric != self.objective.metric",
        "secondObjective.metric must be another one than objective.metric",
        field_path=".secondObjective.metric",
    ),
    Rule(
        f'!has(self.secondObjective) || !({when_present("stopping.rule", NO_RULE)} in ["Median", "SuccessiveHalving"])',
        "rules Median and SuccessiveHalving compare trials by the objective alone: with a secondObjective use "
        "DivergedOnly or None",
        field_path=".stopping.rule",
    ),
    Rule(
        f'{when_present("stopping.rule", NO_RULE)} != "SuccessiveHalving" || has(self.trial.checkpoint)',
        "rule SuccessiveHalving pauses trials and goes on with them: it needs trial.checkpoint",
        field_path=".stopping.rule",
    ),
    Rule(
        f"{when_present('trial.maxPacked', '1')} == 1 || "
        f'!({when_present("stopping.rule", NO_RULE)} in ["Median", "SuccessiveHalving"])',
        "rules Median and SuccessiveHalving end one trial before the others, and trials that share a process end "
        "together: with trial.maxPacked above 1 use DivergedOnly or None",
        field_path=".trial.maxPacked",
    ),
    Rule(
        "!has(self.search) || !has(self.search.switchTo) || self.search.switchTo.afterTrials < self.budget.maxTrials",
        "switchTo.afterTrials must be smaller than budget.maxTrials, or the switch never comes",
        field_path=".search.switchTo.afterTrials",
    ),
    Rule(
        f'{DESIGN} != "Arms" || !{HAS_SCIENTIFIC_RANGE}',
        "design Arms needs scientific values that can be listed: for a scientific range use design Joint, "
        "or make it a Categorical with values",
        field_path=".search.design",
    ),
    Rule(
        f'!({DESIGN} == "Joint" || {HAS_SCIENTIFIC_RANGE}) || !self.hyperparameters.exists(h, has(h.when))',
        "design Joint (which a scientific range implies) is one space without conditions: remove every when, "
        "or list the scientific values as a Categorical and use design Arms",
        field_path=".hyperparameters",
    ),
    *(
        Rule(
            unchanged(field),
            f"{field} cannot be changed, since trials of different {differing} are not comparable: "
            "create another study",
            field_path=f".{field}",
            reason=Reason.FORBIDDEN,
        )
        for field, differing in (
            ("objective", "objectives"),
            ("secondObjective", "objectives"),
            ("hyperparameters", "search spaces"),
            ("search", "designs"),
            ("metrics", "measurements"),
            ("trial", "templates"),
            ("previousStudies", "evidence"),
        )
    ),
    # Lists that are maps or sets are equal in any order; but the order numbers the arms and the dimensions of the
    # search, so another order would draw other trials.
    Rule(
        " && ".join(
            f"self.hyperparameters.map({each}) == oldSelf.hyperparameters.map({each})"
            for each in ("h, h.name", "h, has(h.values) ? h.values.map(v, v) : []")
        ),
        "the order of hyperparameters and of their values cannot be changed, since it decides which trials are drawn: "
        "create another study",
        field_path=".hyperparameters",
        reason=Reason.FORBIDDEN,
    ),
)

# The API server looks at the default of `search`, which is empty, before it fills the defaults of its fields.
ALGORITHM = when_present("algorithm", '"QuasiRandom"')

SEARCH_RULES: Final = (
    Rule(
        '!has(self.switchTo) || self.switchTo.algorithm == "Bayesian"',
        "switchTo.algorithm must be Bayesian: what explores comes first, what exploits the results last",
        field_path=".switchTo.algorithm",
    ),
    Rule(
        f"!has(self.switchTo) || self.switchTo.algorithm != {ALGORITHM}",
        "switchTo.algorithm must be another one than algorithm",
        field_path=".switchTo.algorithm",
    ),
    Rule(
        f'{ALGORITHM} != "List" || has(self.points)',
        "algorithm List needs points: the ones to try",
        field_path=".points",
        reason=Reason.REQUIRED,
    ),
    Rule(
        f'!has(self.pointsPerRange) || {ALGORITHM} == "Grid"',
        "pointsPerRange belongs to algorithm Grid: remove it, or use that algorithm",
        field_path=".pointsPerRange",
        reason=Reason.FORBIDDEN,
    ),
)

STOPPING_RULE = when_present("rule", '"DivergedOnly"')


def _belongs_to(field: str, *rules: str) -> Rule:
    quoted = ", ".join(f'"{rule}"' for rule in rules)
    return Rule(
        f"!has(self.{field}) || {STOPPING_RULE} in [{quoted}]",
        f"{field} belongs to rule {' and '.join(rules)}: remove it, or use such a rule",
        field_path=f".{field}",
        reason=Reason.FORBIDDEN,
    )


STOPPING_RULES: Final = (
    _belongs_to("minTrials", "Median", "SuccessiveHalving"),
    _belongs_to("graceFraction", "Median"),
    _belongs_to("eta", "SuccessiveHalving"),
    _belongs_to("minFraction", "SuccessiveHalving"),
)

DURATION_RULES: Final = (
    Rule(
        'duration(self) > duration("0s") && duration(self) <= duration("8784h")',
        "maxDuration must be longer than nothing and at most a year (8784h)",
    ),
)


def _count(state: str) -> str:
    return when_present(f"status.trials.{state}", "0")


# Failed trials do not count towards maxTrials, nor do those that were stopped for another reason than their curve.
COUNTED_TRIALS = f"{_count('total')} - {_count('failed')} - {_count('stopped')} + {_count('stoppedEarly')}"

STUDY_RULES: Final = (
    Rule(
        "self.spec.budget.maxTrials >= oldSelf.spec.budget.maxTrials || "
        f"self.spec.budget.maxTrials >= {COUNTED_TRIALS}",
        "maxTrials cannot be lowered below the number of trials that were started",
        formatted("maxTrials cannot be lowered below the number of trials that were started: %d", COUNTED_TRIALS),
        ".spec.budget.maxTrials",
    ),
)
