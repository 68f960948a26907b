From Coq Require Import Reals Lra Psatz List Lia.
From nsn Require Import floating_point.
Local Open Scope R_scope.

(******************************************************************************)
(* The running error analysis of nsn_ref/certify/rounding.py (FLT-5), whose   *)
(* numbers carry a bound that holds for every evaluation of a formula.        *)
(*                                                                            *)
(*  rounds k tiny x z == z is x within the relative error k, or within tiny   *)
(*                       (an underflow, or a flush to zero)                   *)
(*     within e v x z == v, the value kept, and z, what another evaluation    *)
(*                       computes, are both within e of the exact number x    *)
(*                                                       Rounded(v, e)        *)
(*               adds == a tree of additions of computed terms                *)
(*         computes a z == z is a result of a, each addition rounding         *)
(* sum_adds, mag, terms == exact sum, sum of absolute values, number of terms *)
(*      inner, Rounded.error, _round, _scaled: as in the Python file          *)
(******************************************************************************)

Definition rounds (k tiny x z : R) : Prop := Rabs (z - x) <= k * Rabs x \/ Rabs (z - x) <= tiny.
Definition within (e v x z : R) : Prop := Rabs (v - x) <= e /\ Rabs (z - x) <= e.

Lemma Rabs_near x y e : Rabs (x - y) <= e -> Rabs x <= Rabs y + e.
Proof.
intros H; replace x with (y + (x - y)) at 1 by ring.
apply (Rle_trans _ _ _ (Rabs_triang _ _)); lra.
Qed.

Lemma Rabs_near_sym x y e : Rabs (x - y) <= e -> Rabs y <= Rabs x + e.
Proof. rewrite Rabs_minus_sym; apply Rabs_near. Qed.

Lemma rounds_plus k tiny x z : 0 <= k -> 0 <= tiny -> rounds k tiny x z -> Rabs (z - x) <= k * Rabs x + tiny.
Proof. intros Hk Ht [H|H]; generalize (Rmult_le_pos _ _ Hk (Rabs_pos x)); lra. Qed.

Inductive adds : Type := Term (t : R) | Plus (a b : adds).

Fixpoint sum_adds (a : adds) : R := match a with Term t => t | Plus a b => sum_adds a + sum_adds b end.
Fixpoint mag (a : adds) : R := match a with Term t => Rabs t | Plus a b => mag a + mag b end.
Fixpoint terms (a : adds) : nat := match a with Term _ => 1 | Plus a b => terms a + terms b end.

Lemma terms_gt0 a : (0 < terms a)%nat.
Proof. induction a; simpl; lia. Qed.

Lemma sum_le_mag a : Rabs (sum_adds a) <= mag a.
Proof. induction a as [t|a IHa b IHb]; simpl; [lra|]; apply (Rle_trans _ _ _ (Rabs_triang _ _)); lra. Qed.

Section Sums.

Variables u tiny : R.
Hypothesis u_ge0 : 0 <= u.
Hypothesis tiny_ge0 : 0 <= tiny.

Inductive computes : adds -> R -> Prop :=
  | C_term t : computes (Term t) t
  | C_plus a b x y z : computes a x -> computes b y -> rounds u tiny (x + y) z -> computes (Plus a b) z.

Definition tree_bound (d : nat) (m : R) : R := ((1 + u) ^ d - 1) * m + (1 + u) ^ d * (INR d * tiny).

Lemma pow_ge1 d : 1 <= (1 + u) ^ d.
Proof. apply pow_R1_Rle; lra. Qed.

Lemma tree_bound_mono d d' m : 0 <= m -> (d <= d')%nat -> tree_bound d m <= tree_bound d' m.
Proof.
intros Hm H; unfold tree_bound; assert (P := pow_ge1 d); assert (N := pos_INR d).
assert (Q : (1 + u) ^ d <= (1 + u) ^ d') by (apply Rle_pow; [lra|assumption]).
assert (N' := le_INR _ _ H).
assert (T : INR d * tiny <= INR d' * tiny) by (apply Rmult_le_compat_r; assumption).
assert (T0 : 0 <= INR d * tiny) by (apply Rmult_le_pos; assumption).
apply Rplus_le_compat; [apply Rmult_le_compat_r; lra|apply Rmult_le_compat; lra].
Qed.

Lemma children_bound a b x y d : Rabs (x - sum_adds a) <= tree_bound (terms a - 1) (mag a) ->
  Rabs (y - sum_adds b) <= tree_bound (terms b - 1) (mag b) -> d = (terms a + terms b - 2)%nat ->
  Rabs (x + y - (sum_adds a + sum_adds b)) <= tree_bound d (mag a + mag b).
Proof.
intros Ha Hb ->; assert (Na := terms_gt0 a); assert (Nb := terms_gt0 b).
assert (Ma := Rle_trans _ _ _ (Rabs_pos _) (sum_le_mag a)); assert (Mb := Rle_trans _ _ _ (Rabs_pos _) (sum_le_mag b)).
replace (x + y - (sum_adds a + sum_adds b)) with ((x - sum_adds a) + (y - sum_adds b)) by ring.
apply (Rle_trans _ _ _ (Rabs_triang _ _)).
set (d := (terms a + terms b - 2)%nat); set (da := (terms a - 1)%nat) in *; set (db := (terms b - 1)%nat) in *.
assert (D : d = (da + db)%nat) by (unfold d, da, db; lia).
assert (Qa : (1 + u) ^ da <= (1 + u) ^ d) by (apply Rle_pow; [lra|lia]).
assert (Qb : (1 + u) ^ db <= (1 + u) ^ d) by (apply Rle_pow; [lra|lia]).
assert (Ta : 0 <= INR da * tiny) by (apply Rmult_le_pos; [apply pos_INR|assumption]).
assert (Tb : 0 <= INR db * tiny) by (apply Rmult_le_pos; [apply pos_INR|assumption]).
unfold tree_bound in *; rewrite D, plus_INR, <- D.
assert (A1 := Rmult_le_compat_r _ _ _ Ma Qa); assert (B1 := Rmult_le_compat_r _ _ _ Mb Qb).
assert (A2 := Rmult_le_compat_r _ _ _ Ta Qa); assert (B2 := Rmult_le_compat_r _ _ _ Tb Qb).
lra.
Qed.

Lemma last_rounding s pre z p : Rabs (pre - s) <= p -> rounds u tiny pre z ->
  Rabs (z - s) <= p + u * (Rabs s + p) + tiny.
Proof.
intros H Rz; apply rounds_plus in Rz; [|assumption..]; assert (A := Rabs_near _ _ _ H).
assert (M : u * Rabs pre <= u * (Rabs s + p)) by (apply Rmult_le_compat_l; assumption).
replace (z - s) with ((z - pre) + (pre - s)) by ring; apply (Rle_trans _ _ _ (Rabs_triang _ _)); lra.
Qed.

Lemma computes_error a z : computes a z -> Rabs (z - sum_adds a) <= tree_bound (terms a - 1) (mag a).
Proof.
induction 1 as [t|a b x y z _ IHa _ IHb Rz].
- unfold tree_bound; simpl; rewrite Rminus_eq_0, Rabs_R0; lra.
- assert (C := children_bound a b x y _ IHa IHb eq_refl).
  apply (Rle_trans _ _ _ (last_rounding _ _ _ _ C Rz)); simpl.
  assert (Na := terms_gt0 a); assert (Nb := terms_gt0 b).
  replace (terms a + terms b - 1)%nat with (S (terms a + terms b - 2)) by lia.
  set (d := (terms a + terms b - 2)%nat); assert (P := pow_ge1 d).
  assert (Sm := sum_le_mag (Plus a b)); simpl in Sm.
  assert (M : u * Rabs (sum_adds a + sum_adds b) <= u * (mag a + mag b)) by (apply Rmult_le_compat_l; assumption).
  assert (T : 1 * tiny <= (1 + u) ^ S d * tiny) by (apply Rmult_le_compat_r; [assumption|apply pow_ge1]); simpl in T.
  unfold tree_bound; rewrite S_INR; simpl; lra.
Qed.

(* The errors of the terms, and of every addition but the last. *)
Definition inner (e_terms magnitude : R) (n : nat) : R :=
  e_terms + gamma u (n - 2) * magnitude + (1 + gamma u (n - 2)) * (INR (n - 2) * tiny).

(* FLT-5. An open sum of n >= 2 terms, in any order: a term passes through at most n - 2 sums
   before the last one, which rounds the result itself. The terms are computed numbers, of
   which e_terms bounds the errors and magnitude the absolute values. *)
Theorem open_sum_error a z s e_terms magnitude : (2 <= terms a)%nat -> INR (terms a - 2) * u < 1 ->
  computes a z -> Rabs (sum_adds a - s) <= e_terms -> mag a <= magnitude ->
  Rabs (z - s) <= inner e_terms magnitude (terms a) + u * (Rabs s + inner e_terms magnitude (terms a)) + tiny.
Proof.
intros N Hu C Hs Hm; destruct C as [t|a b x y z Ca Cb Rz]; [simpl in N; lia|].
refine (last_rounding s _ z _ _ Rz).
assert (B := children_bound a b x y _ (computes_error a x Ca) (computes_error b y Cb) eq_refl).
simpl terms in *; simpl mag in Hm; simpl sum_adds in Hs; set (d := (terms a + terms b - 2)%nat) in *.
assert (G := pow_le_gamma u d u_ge0 Hu); assert (P := pow_ge1 d).
assert (M0 : 0 <= mag a + mag b).
{ generalize (Rle_trans _ _ _ (Rabs_pos _) (sum_le_mag a)) (Rle_trans _ _ _ (Rabs_pos _) (sum_le_mag b)); lra. }
assert (T0 : 0 <= INR d * tiny) by (apply Rmult_le_pos; [apply pos_INR|assumption]).
replace (x + y - s) with ((x + y - (sum_adds a + sum_adds b)) + (sum_adds a + sum_adds b - s)) by ring.
apply (Rle_trans _ _ _ (Rabs_triang _ _)); unfold inner, tree_bound in *; fold d.
assert (G1 : ((1 + u) ^ d - 1) * (mag a + mag b) <= gamma u d * magnitude) by (apply Rmult_le_compat; lra).
assert (G2 : (1 + u) ^ d * (INR d * tiny) <= (1 + gamma u d) * (INR d * tiny)) by (apply Rmult_le_compat_r; lra).
lra.
Qed.

(* FLT-5. Rounded.error: the same in terms of the value v that is kept, itself one evaluation. *)
Theorem rounded_error p s v z : u < 1 ->
  Rabs (v - s) <= p + u * (Rabs s + p) -> Rabs (z - s) <= p + u * (Rabs s + p) ->
  within ((p + u * (Rabs v + p)) / (1 - u)) v s z.
Proof.
intros U Hv Hz.
assert (P : p + u * (Rabs s + p) <= (p + u * (Rabs v + p)) / (1 - u)).
{ apply (Rmult_le_reg_r (1 - u)); [lra|]; unfold Rdiv; rewrite Rmult_assoc, Rinv_l by lra; rewrite Rmult_1_r.
  assert (A := Rabs_near_sym _ _ _ Hv).
  assert (M := Rmult_le_compat_l u _ _ u_ge0 A); lra. }
split; lra.
Qed.

End Sums.

Section Propagation.

Variables u tiny : R.
Hypothesis u_ge0 : 0 <= u.
Hypothesis tiny_ge0 : 0 <= tiny.

(* FLT-5. _round(v, e, ulps), for one operation: f is its exact result on the values kept and g
   on the numbers another evaluation has, both within e of the exact result y. That evaluation
   rounds with the relative error k, the kept value with w; c is gamma_ulps. *)
Theorem round_error k w c e f g y v z : 0 <= w -> w <= k -> w < 1 -> k <= 1 -> k <= c * (1 - w) ->
  Rabs (f - y) <= e -> Rabs (g - y) <= e -> rounds w tiny f v -> rounds k tiny g z ->
  within (e + c * (Rabs v + 2 * e) + tiny) v y z.
Proof.
intros W0 Wk W1 K1 Kc Hf Hg Rv Rz.
assert (E0 := Rle_trans _ _ _ (Rabs_pos _) Hf).
assert (C0 : 0 <= c) by nra.
assert (Fk : k * Rabs f <= c * Rabs v + tiny).
{ destruct Rv as [H|H]; apply Rabs_near_sym in H; assert (F0 := Rabs_pos f); assert (V0 := Rabs_pos v).
  - assert (A : (1 - w) * Rabs f <= Rabs v) by lra.
    assert (B := Rmult_le_compat_l c _ _ C0 A); assert (D := Rmult_le_compat_r _ _ _ F0 Kc); lra.
  - assert (K0 : 0 <= k) by lra; assert (B := Rmult_le_compat_l k _ _ K0 H).
    assert (D : k * Rabs v <= c * Rabs v) by (apply Rmult_le_compat_r; nra). nra. }
assert (Gf : Rabs g <= Rabs f + 2 * e).
{ apply Rabs_near; replace (g - f) with ((g - y) + - (f - y)) by ring.
  apply (Rle_trans _ _ _ (Rabs_triang _ _)); rewrite Rabs_Ropp; lra. }
assert (Kg : k * Rabs g <= c * (Rabs v + 2 * e) + tiny).
{ assert (K0 : 0 <= k) by lra; assert (B := Rmult_le_compat_l k _ _ K0 Gf).
  assert (D : k * (2 * e) <= c * (2 * e)) by (apply Rmult_le_compat_r; nra). lra. }
assert (T : forall x z' t, Rabs (x - y) <= e -> Rabs (z' - x) <= t -> Rabs (z' - y) <= e + t).
{ intros x z' t H1 H2; replace (z' - y) with ((z' - x) + (x - y)) by ring.
  apply (Rle_trans _ _ _ (Rabs_triang _ _)); lra. }
assert (CE : 0 <= c * (Rabs v + 2 * e)) by (apply Rmult_le_pos; [assumption|generalize (Rabs_pos v); lra]).
split.
- apply (Rle_trans _ _ _ (T f v (c * (Rabs v + 2 * e) + tiny) Hf ltac:(
    destruct Rv as [H|H]; [assert (D := Rmult_le_compat_r _ _ _ (Rabs_pos f) Wk); nra|lra]))); lra.
- apply (Rle_trans _ _ _ (T g z (c * (Rabs v + 2 * e) + tiny) Hg ltac:(destruct Rz; lra))); lra.
Qed.

(* FLT-5. The propagated error of a product. *)
Theorem product_error a ea x xh b eb y yh : within ea a x xh -> within eb b y yh ->
  within (Rabs a * eb + Rabs b * ea + 3 * ea * eb) (a * b) (x * y) (xh * yh).
Proof.
intros [Ha Hxh] [Hb Hyh].
assert (Ea := Rle_trans _ _ _ (Rabs_pos _) Ha); assert (Eb := Rle_trans _ _ _ (Rabs_pos _) Hb).
assert (X := Rabs_near_sym _ _ _ Ha); assert (Y := Rabs_near_sym _ _ _ Hb); assert (Yh := Rabs_near _ _ _ Hyh).
assert (A0 := Rabs_pos a); assert (B0 := Rabs_pos b).
split.
- replace (a * b - x * y) with (a * (b - y) + (a - x) * y) by ring.
  apply (Rle_trans _ _ _ (Rabs_triang _ _)); rewrite !Rabs_mult.
  assert (P := Rmult_le_compat_l _ _ _ A0 Hb).
  assert (Q := Rmult_le_compat _ _ _ _ (Rabs_pos _) (Rabs_pos _) Ha Y); nra.
- replace (xh * yh - x * y) with (x * (yh - y) + (xh - x) * yh) by ring.
  apply (Rle_trans _ _ _ (Rabs_triang _ _)); rewrite !Rabs_mult.
  assert (P := Rmult_le_compat _ _ _ _ (Rabs_pos _) (Rabs_pos _) X Hyh).
  assert (Q := Rmult_le_compat _ _ _ _ (Rabs_pos _) (Rabs_pos _) Hxh Yh); nra.
Qed.

(* FLT-5. The propagated error of a quotient, if the divisor is surely not zero. *)
Theorem quotient_error a ea x xh b eb y yh : within ea a x xh -> within eb b y yh -> 4 * eb < Rabs b ->
  within ((ea + (Rabs a + ea) / (Rabs b - eb) * eb) / (Rabs b - 2 * eb)) (a / b) (x / y) (xh / yh).
Proof.
intros [Ha Hxh] [Hb Hyh] B4.
assert (Ea := Rle_trans _ _ _ (Rabs_pos _) Ha); assert (Eb := Rle_trans _ _ _ (Rabs_pos _) Hb).
assert (X := Rabs_near_sym _ _ _ Ha); assert (Y := Rabs_near _ _ _ Hb); assert (Yh := Rabs_near_sym _ _ _ Hyh).
assert (Ypos : Rabs b - eb <= Rabs y) by lra; assert (Yhpos : Rabs b - 2 * eb <= Rabs yh) by lra.
assert (Ny : y <> 0) by (intros ->; rewrite Rabs_R0 in *; lra).
assert (Q : Rabs (x / y) <= (Rabs a + ea) / (Rabs b - eb)).
{ unfold Rdiv; rewrite Rabs_mult, Rabs_inv by assumption.
  apply Rmult_le_compat; [apply Rabs_pos|left; apply Rinv_0_lt_compat, Rabs_pos_lt; assumption|assumption|].
  apply Rinv_le_contravar; lra. }
set (q := (Rabs a + ea) / (Rabs b - eb)) in *.
assert (Q0 := Rle_trans _ _ _ (Rabs_pos _) Q).
assert (S : forall c d, Rabs (c - x) <= ea -> Rabs (d - y) <= eb -> Rabs b - 2 * eb <= Rabs d ->
  Rabs (c / d - x / y) <= (ea + q * eb) / (Rabs b - 2 * eb)).
{ intros c d Hc Hd D.
  assert (Nd : d <> 0) by (intros ->; rewrite Rabs_R0 in *; lra).
  replace (c / d - x / y) with (((c - x) + (x / y) * (y - d)) / d) by (field; auto).
  unfold Rdiv at 1; rewrite Rabs_mult, Rabs_inv by assumption.
  apply Rmult_le_compat; [apply Rabs_pos|left; apply Rinv_0_lt_compat, Rabs_pos_lt; assumption| |].
  - apply (Rle_trans _ _ _ (Rabs_triang _ _)); rewrite Rabs_mult, (Rabs_minus_sym y d).
    assert (P := Rmult_le_compat _ _ _ _ (Rabs_pos _) (Rabs_pos _) Q Hd); lra.
  - apply Rinv_le_contravar; lra. }
split; apply S; try assumption; lra.
Qed.

(* FLT-5. The propagated error of a square root, if the argument is surely positive. *)
Theorem sqrt_error a e x xh : within e a x xh -> 0 < a - 2 * e ->
  within (e / (2 * sqrt (a - 2 * e))) (sqrt a) (sqrt x) (sqrt xh).
Proof.
intros [Ha Hxh] L.
assert (E0 := Rle_trans _ _ _ (Rabs_pos _) Ha).
assert (A := Rabs_def2 _ _ (Rle_lt_trans _ _ (e + 1) Ha ltac:(lra))).
assert (Bx : a - e <= x <= a + e) by (unfold Rabs in Ha; destruct (Rcase_abs (a - x)); lra).
assert (Bh : x - e <= xh <= x + e) by (unfold Rabs in Hxh; destruct (Rcase_abs (xh - x)); lra).
assert (S0 := sqrt_lt_R0 _ L).
assert (S : forall c, a - 2 * e <= c -> Rabs (c - x) <= e -> Rabs (sqrt c - sqrt x) <= e / (2 * sqrt (a - 2 * e))).
{ intros c Hc Hcx.
  assert (Sc : sqrt (a - 2 * e) <= sqrt c) by (apply sqrt_le_1_alt; lra).
  assert (Sx : sqrt (a - 2 * e) <= sqrt x) by (apply sqrt_le_1_alt; lra).
  replace (sqrt c - sqrt x) with ((c - x) / (sqrt c + sqrt x)).
  - unfold Rdiv; rewrite Rabs_mult, Rabs_inv by lra; rewrite (Rabs_pos_eq (sqrt c + sqrt x)) by lra.
    apply Rmult_le_compat; [apply Rabs_pos|left; apply Rinv_0_lt_compat; lra|assumption|].
    apply Rinv_le_contravar; lra.
  - replace (c - x) with (sqrt c * sqrt c - sqrt x * sqrt x) by (rewrite !sqrt_sqrt by lra; reflexivity).
    field; lra. }
split; apply S; try assumption; lra.
Qed.

Lemma exp_near y z h e : y <= h -> z <= h -> Rabs (y - z) <= e -> Rabs (exp y - exp z) <= exp h * Rmin e 1.
Proof.
assert (S : forall y z, z <= y -> y <= h -> Rabs (y - z) <= e -> Rabs (exp y - exp z) <= exp h * Rmin e 1).
{ clear y z; intros y z Hzy Hy He; rewrite Rabs_pos_eq in He by lra.
  assert (M : exp z <= exp y) by (destruct Hzy as [L| ->]; [left; now apply exp_increasing|lra]).
  assert (Mh : exp y <= exp h) by (destruct Hy as [L| ->]; [left; now apply exp_increasing|lra]).
  rewrite Rabs_pos_eq by lra.
  assert (E : exp z = exp y * exp (z - y)) by (rewrite <- exp_plus; f_equal; ring).
  assert (T := exp_ineq1_le (z - y)); assert (P := exp_pos (z - y)); assert (Q := exp_pos y).
  assert (B : 1 - exp (z - y) <= Rmin e 1) by (apply Rmin_glb; lra).
  assert (B0 : 0 <= 1 - exp (z - y)) by nra.
  rewrite E; replace (exp y - exp y * exp (z - y)) with (exp y * (1 - exp (z - y))) by ring.
  apply Rmult_le_compat; lra. }
intros Hy Hz He; destruct (Rle_or_lt z y) as [L|L]; [now apply S|].
rewrite Rabs_minus_sym; apply S; [lra|assumption|now rewrite Rabs_minus_sym].
Qed.

(* FLT-5. The propagated error of exp. *)
Theorem exp_error a e x xh : within e a x xh -> within (exp (a + 2 * e) * Rmin e 1) (exp a) (exp x) (exp xh).
Proof.
intros [Ha Hxh]; assert (E0 := Rle_trans _ _ _ (Rabs_pos _) Ha).
assert (Bx := Rle_abs (x - a)); rewrite Rabs_minus_sym in Bx; assert (Bh := Rle_abs (xh - x)).
split; (apply exp_near; [lra|lra|assumption]).
Qed.

(* FLT-5. The propagated error of ln, if the argument is surely positive. *)
Theorem log_error a e x xh : within e a x xh -> 0 < a - 2 * e -> within (e / (a - 2 * e)) (ln a) (ln x) (ln xh).
Proof.
intros [Ha Hxh] L; assert (E0 := Rle_trans _ _ _ (Rabs_pos _) Ha).
assert (Bx : a - e <= x) by (generalize (Rle_abs (a - x)); lra).
assert (Bh : x - e <= xh) by (generalize (Rle_abs (x - xh)); rewrite Rabs_minus_sym; lra).
assert (S : forall y z, a - 2 * e <= z -> z <= y -> y - z <= e -> Rabs (ln y - ln z) <= e / (a - 2 * e)).
{ intros y z Hz Hzy Hd.
  assert (D : ln y - ln z = ln (y / z))
    by (unfold Rdiv; rewrite ln_mult, ln_Rinv by (try apply Rinv_0_lt_compat; lra); ring).
  assert (P : 0 < y / z) by (apply Rdiv_lt_0_compat; lra).
  assert (G : 1 <= y / z) by (apply (Rmult_le_reg_r z); [lra|]; unfold Rdiv; rewrite Rmult_assoc, Rinv_l by lra; lra).
  assert (T := exp_ineq1_le (ln (y / z))); rewrite exp_ln in T by assumption.
  assert (N : 0 <= ln (y / z)).
  { rewrite <- ln_1; destruct G as [G|G]; [left; apply ln_increasing; lra|rewrite <- G; lra]. }
  rewrite D, Rabs_pos_eq by assumption; apply (Rle_trans _ ((y - z) / z)).
  - replace ((y - z) / z) with (y / z - 1) by (field; lra); lra.
  - apply Rmult_le_compat; [lra|left; apply Rinv_0_lt_compat; lra|assumption|apply Rinv_le_contravar; lra]. }
assert (B : forall y z, a - 2 * e <= y -> a - 2 * e <= z -> Rabs (y - z) <= e -> Rabs (ln y - ln z) <= e / (a - 2 * e)).
{ intros y z Hy Hz Hd; destruct (Rle_or_lt z y) as [O|O].
  - apply S; try assumption; generalize (Rle_abs (y - z)); lra.
  - rewrite Rabs_minus_sym; rewrite Rabs_minus_sym in Hd; apply S; try lra; generalize (Rle_abs (z - y)); lra. }
split; apply B; try assumption; lra.
Qed.

(* FLT-5. The propagated error of a power. *)
Theorem pow_error a e x xh n : within e a x xh ->
  within (INR n * e * (Rabs a + 2 * e) ^ (n - 1)) (a ^ n) (x ^ n) (xh ^ n).
Proof.
intros [Ha Hxh]; assert (E0 := Rle_trans _ _ _ (Rabs_pos _) Ha).
assert (X := Rabs_near_sym _ _ _ Ha); assert (Xh := Rabs_near _ _ _ Hxh).
set (M := Rabs a + 2 * e); assert (M0 : 0 <= M) by (unfold M; generalize (Rabs_pos a); lra).
assert (P : forall y k, Rabs y <= M -> Rabs (y ^ k) <= M ^ k).
{ intros y k Hy; rewrite <- RPow_abs; apply pow_incr; split; [apply Rabs_pos|assumption]. }
assert (S : forall y z, Rabs y <= M -> Rabs z <= M -> Rabs (y - z) <= e ->
  Rabs (y ^ n - z ^ n) <= INR n * e * M ^ (n - 1)).
{ intros y z Hy Hz Hd; induction n as [|k IH]; [simpl; rewrite Rminus_eq_0, Rabs_R0; lra|].
  replace (y ^ S k - z ^ S k) with (y * (y ^ k - z ^ k) + (y - z) * z ^ k) by (simpl; ring).
  apply (Rle_trans _ _ _ (Rabs_triang _ _)); rewrite !Rabs_mult, S_INR.
  replace (S k - 1)%nat with k by lia.
  assert (A := Rmult_le_compat _ _ _ _ (Rabs_pos _) (Rabs_pos _) Hd (P z k Hz)).
  assert (B := Rmult_le_compat _ _ _ _ (Rabs_pos _) (Rabs_pos _) Hy IH).
  assert (C : M * (INR k * e * M ^ (k - 1)) = INR k * e * M ^ k).
  { destruct k as [|k]; [simpl; ring|]; replace (S k - 1)%nat with k by lia; simpl pow; ring. }
  lra. }
split; apply S; try assumption; unfold M; generalize (Rabs_pos a); lra.
Qed.

End Propagation.

(* FLT-5. Products and square roots round once: ulps = 1. *)
Theorem one_rounding u : 0 <= u < 1 -> u <= gamma u 1 * (1 - u).
Proof. intros U; unfold gamma; simpl; rewrite Rmult_1_l; apply Req_le; field; lra. Qed.

(* FLT-5. A quotient as the product with a reciprocal rounds twice: ulps = 2. *)
Theorem two_roundings u : 0 <= u -> 2 * u < 1 -> (1 + u) * (1 + u) - 1 <= gamma u 2 * (1 - u).
Proof.
intros U H; unfold gamma; simpl INR; replace ((1 + 1) * u) with (2 * u) by ring.
apply (Rmult_le_reg_r (1 - 2 * u)); [lra|].
replace (2 * u / (1 - 2 * u) * (1 - u) * (1 - 2 * u)) with (2 * u * (1 - u)) by (field; lra); nra.
Qed.

(* FLT-5. A function that is off by at most n u, against a value that is kept as accurately. *)
Theorem n_roundings u n : 0 <= u -> INR n * u < 1 -> INR n * u <= gamma u n * (1 - INR n * u).
Proof. intros U H; unfold gamma; apply Req_le; field; lra. Qed.
